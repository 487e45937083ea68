# The port's folder lies in the tree (packaging/vcpkg): an overlay port of these very sources. A port
# of a release takes the archive instead: vcpkg_from_github, or vcpkg_download_distfile.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

set(blas none)
if("openblas" IN_LIST FEATURES)
  set(blas openblas)
endif()
set(zlib no)
if("zlib" IN_LIST FEATURES)
  set(zlib yes)
endif()

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS -DKDISTILL_BLAS=${blas} -DKDISTILL_ZLIB=${zlib} -DKDISTILL_TESTS=OFF
          -DKDISTILL_INSTALL=ON)
vcpkg_cmake_install()
vcpkg_fixup_pkgconfig()

# lib/cmake/kdistill finds everything from its own place and serves both builds.
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share"
  "${CURRENT_PACKAGES_DIR}/debug/lib/cmake")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
